// Passes bytes between a TCP client on this machine and the system's host stream.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace arrayloom {

// One client at a time; the next is accepted when it has disconnected.
class Bridge {
  public:
    Bridge() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (listener_ < 0 || bind(listener_, generic, size) || listen(listener_, 1) || getsockname(listener_, generic, &size)) {
            throw std::runtime_error("no socket on the loopback interface");
        }
        port_ = ntohs(address.sin_port);
    }
    ~Bridge() {
        leave();
        close(listener_);
    }
    Bridge(const Bridge&) = delete;
    Bridge& operator=(const Bridge&) = delete;

    uint16_t port() const { return port_; }
    bool pending() const { return next_ < received_; }
    uint8_t front() const { return input_[next_]; }
    void pop() { ++next_; }
    void push(uint8_t byte) { output_.push_back(static_cast<char>(byte)); }

    // Sends pushed bytes and receives available ones, waiting up to `wait` milliseconds for input. False
    // when standard input has ended: the parent process is gone.
    bool exchange(int wait) {
        flush();
        pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {client_ < 0 ? listener_ : client_, POLLIN, 0}};
        const nfds_t count = pending() ? 1 : 2;    // nothing more is received before this is consumed
        if (poll(waited, count, wait) <= 0) return true;
        if (waited[0].revents) {
            char dropped[256];
            if (read(STDIN_FILENO, dropped, sizeof dropped) <= 0) return false;
        }
        if (count == 2 && waited[1].revents) client_ < 0 ? take() : receive();
        return true;
    }

  private:
    void take() {
        client_ = accept(listener_, nullptr, nullptr);
        const int one = 1;
        if (client_ >= 0) setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }

    void receive() {
        const ssize_t count = recv(client_, input_, sizeof input_, 0);
        if (count <= 0) return leave();
        next_ = 0;
        received_ = static_cast<size_t>(count);
    }

    void flush() {
        size_t sent = 0;
        while (client_ >= 0 && sent < output_.size()) {
            const ssize_t count = send(client_, output_.data() + sent, output_.size() - sent, MSG_NOSIGNAL);
            if (count < 0 && errno != EINTR) leave();
            if (count > 0) sent += static_cast<size_t>(count);
        }
        output_.clear();
    }

    void leave() {
        if (client_ >= 0) close(client_);
        client_ = -1;
    }

    int listener_, client_ = -1;
    uint16_t port_ = 0;
    uint8_t input_[1 << 16];
    size_t next_ = 0, received_ = 0;
    std::string output_;
};

}  // namespace arrayloom
